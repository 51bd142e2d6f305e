# One image for every service; SERVICES says which of them a container runs. Why it is made this way:
# docs/decisions/0005-image.md. Give both stages the same Node; a digest (…@sha256:…) makes them exact.
ARG BUILD_IMAGE=node:24-trixie-slim
ARG RUN_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /modules/app
COPY package.json package-lock.json ./
# No install scripts: no production dependency needs one. What Node can't run is left out: it runs no TypeScript below
# node_modules. Licences stay.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f ! -iname 'licen[cs]e*' \
      \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.flow' -o -name '*.md' \) -delete \
 && find node_modules -type d -empty -delete \
 && rm package.json package-lock.json node_modules/.package-lock.json
COPY . /code/app
# One date and one mode for everything, so that the same sources make the same layers wherever they were checked out.
RUN rm /code/app/package-lock.json \
 && chmod -R u=rwX,go=rX /modules /code \
 && find /modules /code -exec touch --no-dereference --date=@0 {} +

FROM ${RUN_IMAGE}
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    HEALTH_PORT=8081 \
    LOG_FORMAT=json
COPY --from=build /modules /
COPY --from=build /code /
WORKDIR /app
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
  CMD ["/nodejs/bin/node", "docker/healthcheck.js"]
# Node itself is process 1: it takes SIGTERM from its first moment on, drains and ends (docker/signals.ts,
# lib/lifecycle.ts), and has no children to reap.
ENTRYPOINT ["/nodejs/bin/node"]
CMD ["--import", "./docker/signals.ts", "node_modules/moleculer/bin/moleculer-runner.js", \
     "--config", "moleculer.config.ts", "services/*/*.service.ts"]
