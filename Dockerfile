# syntax=docker/dockerfile:1
# One image for all processes; the command says which one runs.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --workspace --bins \
    && install -D -t /out target/release/sojourn target/release/sojourn-worker

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin sojourn
# A named volume that is mounted here for the first time belongs to whom the folder belongs to.
RUN install -d -o 10001 -g 10001 /data /var/tmp/sojourn
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT []
CMD ["sojourn", "--help"]
