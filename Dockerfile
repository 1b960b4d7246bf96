# One image for every role: `celeriac up`, `server`, `worker` and `beat` are commands of the same binary.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# SQLite and the TLS library have C and assembly in them; everything else is Rust.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && cargo build --profile dist --locked --package celeriac-cli

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 8470 --home-dir /var/lib/celeriac --create-home celeriac
COPY --from=build /src/target/dist/celeriac /usr/bin/celeriac
USER celeriac
# The embedded database lies here, where none on a server is named.
WORKDIR /var/lib/celeriac
VOLUME /var/lib/celeriac
EXPOSE 8470
# A worker that is told to stop lets its jobs finish first (`worker.shutdown_patience`).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/bin/celeriac"]
CMD ["up"]
