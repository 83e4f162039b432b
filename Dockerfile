# syntax=docker/dockerfile:1.18
FROM node:24.21.0-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM dependencies AS build
COPY tsconfig.json holdfast.config.ts ./
COPY src/ src/
COPY workflows/ workflows/
COPY activities/ activities/
COPY workers/ workers/
COPY supabase/ supabase/
RUN node workers/prebuild.ts

FROM node:24.21.0-trixie-slim AS holdfast
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/* /usr/local/lib/node_modules/npm /usr/local/bin/npm /usr/local/bin/npx \
    && groupadd --gid 10001 holdfast \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin holdfast \
    && install --directory --owner=10001 --group=10001 --mode=0700 /state
WORKDIR /app
COPY --from=build /app/ ./
# hadolint ignore=DL3064
ENV NODE_ENV=production HOLDFAST_PRODUCTION=1 HOLDFAST_STATE_DIR=/state HOLDFAST_SECRETS_DIR=/run/secrets
USER 10001:10001
VOLUME /state
ENTRYPOINT ["node", "--no-concurrent-sparkplug", "--no-maglev-build-code-on-background"]
CMD ["--max-semi-space-size=2", "--max-old-space-size=256", "workers/main.ts"]
