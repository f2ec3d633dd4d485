//! What both programs can be told. They share a settings file, and each must recognise what is
//! meant for the other. That these are the options that they have is a test of the documents.

/// The options of one program by their long names, without the dashes.
#[derive(Debug)]
pub struct ProgramOptions {
    /// What the program is called.
    pub name: &'static str,
    /// Options of the program and of all its commands.
    pub global: &'static [&'static str],
    /// Its commands, each with its own options.
    pub commands: &'static [(&'static str, &'static [&'static str])],
}

impl ProgramOptions {
    /// Whether the program or one of its commands has this option.
    pub(super) fn has(&self, option: &str) -> bool {
        let mut all = self.commands.iter().flat_map(|(_, options)| *options);
        self.global.contains(&option) || all.any(|known| *known == option)
    }

    /// The program and the command's own options, if it has that command.
    pub(super) fn of_command(&self, name: &str) -> Option<(&Self, &'static [&'static str])> {
        let found = self.commands.iter().find(|(command, _)| *command == name);
        found.map(|(_, options)| (self, *options))
    }
}

/// Both programs.
pub const OPTIONS: [ProgramOptions; 2] = [
    ProgramOptions {
        name: "sojourn",
        global: &[
            "redis",
            "redis-password-file",
            "redis-sentinel-user",
            "redis-sentinel-password-file",
            "redis-ca",
            "redis-cert",
            "redis-key",
            "redis-timeout",
            "key-prefix",
            "json",
            "quiet",
        ],
        commands: &[
            (
                "ingest",
                &[
                    "items",
                    "interactions",
                    "movielens",
                    "map",
                    "mapping",
                    "out",
                    "force",
                    "memory",
                    "users-per-shard",
                    "interactions-per-shard",
                    "max-rejects",
                    "window",
                    "scratch",
                    "language",
                    "salience",
                    "salience-params",
                ],
            ),
            (
                "serve",
                &["queue-depth", "naming-backlog", "lead", "listen"],
            ),
            (
                "plan",
                &[
                    "users",
                    "assume",
                    "simulate",
                    "model",
                    "prompt",
                    "examples",
                    "locale",
                    "samples",
                    "journeys-per-call",
                    "share-after",
                    "cache-days",
                    "requests-per-minute",
                    "input-tokens-per-minute",
                    "output-tokens-per-minute",
                    "calls-at-once",
                    "money-per-day",
                    "price-input",
                    "price-cached",
                    "price-output",
                    "moderated",
                    "shards",
                    "seed",
                    "cache",
                    "method",
                    "epsilon",
                    "assign",
                    "merge",
                    "drop-at-most",
                    "least-confidence",
                    "half-life-days",
                ],
            ),
            (
                "backfill",
                &[
                    "watch",
                    "method",
                    "epsilon",
                    "assign",
                    "merge",
                    "drop-at-most",
                    "least-confidence",
                    "half-life-days",
                    "ttl-days",
                    "budget",
                ],
            ),
            (
                "recompute",
                &[
                    "users",
                    "cohort",
                    "active-since",
                    "watch",
                    "method",
                    "epsilon",
                    "assign",
                    "merge",
                    "drop-at-most",
                    "least-confidence",
                    "half-life-days",
                    "ttl-days",
                    "budget",
                ],
            ),
            ("runs", &["limit", "dataset"]),
            ("run", &["watch", "dataset"]),
            ("pause", &["lane", "all", "kind", "dataset"]),
            ("resume", &["lane", "all", "kind", "dataset"]),
            ("cancel", &["lane", "all", "dataset"]),
            ("repair", &["watch", "dataset"]),
            ("budget", &["dataset"]),
            ("dead", &["dataset"]),
            ("show", &["dataset"]),
            ("health", &["listen"]),
            (
                "export-tuning",
                &[
                    "out",
                    "prompt",
                    "examples",
                    "locale",
                    "journeys-per-call",
                    "language",
                ],
            ),
            ("eval", &[]),
            (
                "generate",
                &["users", "items-per-user", "items", "seed", "force"],
            ),
            ("demo", &["users", "seed", "keep"]),
        ],
    },
    ProgramOptions {
        name: "sojourn-worker",
        global: &[
            "redis",
            "redis-password-file",
            "redis-sentinel-user",
            "redis-sentinel-password-file",
            "redis-ca",
            "redis-cert",
            "redis-key",
            "redis-timeout",
            "key-prefix",
        ],
        commands: &[
            ("bench", &["json"]),
            (
                "extract",
                &[
                    "lease",
                    "drain",
                    "listen",
                    "max-failures",
                    "max-crashes",
                    "concurrency",
                    "cache",
                ],
            ),
            (
                "name",
                &[
                    "lease",
                    "drain",
                    "listen",
                    "max-failures",
                    "max-crashes",
                    "namer",
                    "endpoint",
                    "model",
                    "llm-api-key-file",
                    "prompt",
                    "examples",
                    "locale",
                    "samples",
                    "moderation",
                    "moderation-model",
                    "moderation-api-key-file",
                    "journeys-per-call",
                    "requests-per-minute",
                    "input-tokens-per-minute",
                    "output-tokens-per-minute",
                    "calls-at-once",
                    "money-per-day",
                    "price-input",
                    "price-cached",
                    "price-output",
                    "share-after",
                    "cache-days",
                    "fallback-endpoint",
                    "fallback-model",
                    "fallback-api-key-file",
                    "fallback-requests-per-minute",
                    "fallback-input-tokens-per-minute",
                    "fallback-output-tokens-per-minute",
                    "fallback-calls-at-once",
                    "fallback-price-input",
                    "fallback-price-cached",
                    "fallback-price-output",
                    "lane",
                    "batch-gather",
                    "batch-poll",
                    "concurrency",
                ],
            ),
        ],
    },
];
