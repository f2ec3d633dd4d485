"""Serves a model in the OpenAI form on this machine until it is told to stop.

usage: serve.py FILE PORT THREADS SLOTS"""

import os
import signal
import sys

import xllamacpp

# Tokens of a question of 16 journeys and its answer, and room for more examples.
CONTEXT = 8192


def main():
    file, port, threads, slots = sys.argv[1], *map(int, sys.argv[2:5])
    options = xllamacpp.CommonParams()
    options.model.path = file
    options.hostnames = ["127.0.0.1"]
    options.port = port
    options.n_parallel = slots
    options.n_ctx = CONTEXT * slots
    options.kv_unified = False
    options.cpuparams.n_threads = threads
    options.cpuparams_batch.n_threads = threads
    options.offline = True
    options.ui = False
    options.verbosity = 1
    # Before the server has threads, which would inherit another mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = xllamacpp.Server(options)
    print("serving", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    # Its threads do not end by themselves.
    os._exit(0)


main()
