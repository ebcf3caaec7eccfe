# A nixproof worker with QEMU and the tools that build the debian base. See docs/operations.md.
FROM node:24.11.1-bookworm-slim@sha256:48abc13a19400ca3985071e287bd405a1d99306770eb81d61202fb6b65cf0b57 AS build
WORKDIR /opt/nixproof
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run --silent build && npm prune --omit=dev --no-audit --no-fund

FROM node:24.11.1-bookworm-slim@sha256:48abc13a19400ca3985071e287bd405a1d99306770eb81d61202fb6b65cf0b57
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    qemu-system-x86 qemu-utils ovmf mmdebstrap uidmap openssh-client e2fsprogs fdisk ca-certificates \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
  NIXPROOF_HOME=/var/lib/nixproof/home \
  XDG_CACHE_HOME=/var/lib/nixproof/cache
COPY --from=build /opt/nixproof/package.json /opt/nixproof/LICENSE /opt/nixproof/
COPY --from=build /opt/nixproof/node_modules /opt/nixproof/node_modules
COPY --from=build /opt/nixproof/dist /opt/nixproof/dist
COPY --from=build /opt/nixproof/assets /opt/nixproof/assets
COPY --from=build /opt/nixproof/schema /opt/nixproof/schema
COPY --from=build /opt/nixproof/examples /opt/nixproof/examples
RUN ln -s /opt/nixproof/dist/cli/main.js /usr/local/bin/nixproof \
  && mkdir -p /var/lib/nixproof/home /var/lib/nixproof/cache \
  && chown -R node:node /var/lib/nixproof
USER node
WORKDIR /var/lib/nixproof
VOLUME /var/lib/nixproof
HEALTHCHECK --interval=60s --timeout=30s --start-period=30s CMD ["nixproof", "doctor", "--json"]
ENTRYPOINT ["nixproof"]
CMD ["worker"]
