# The action's image: the static binary, the CA roots it verifies TLS with, and busybox.
#
# Busybox, because a runner whose jobs are Kubernetes pods starts the image with `tail -f /dev/null` and then runs a
# script with `sh` and `env` in it (github.com/actions/runner-container-hooks). There is no USER: the files through which
# the action answers the runner belong to the runner's user with mode 0644, and root alone can write to them
# (docs.github.com, "Dockerfile support for GitHub Actions"). There is no WORKDIR: the runner sets /github/workspace.
#
# Every instruction is of the classic builder's subset, so that any engine builds it, with or without BuildKit. The
# bases are pinned by the digest of their index, which covers linux/amd64 and linux/arm64; the tag is for the reader.

FROM golang:1.26.8-alpine3.24@sha256:8ac98ca534ac3f51e1f420a1dd2c15e74c75cfa0f23f3ad27eb5d7236c349a0c AS build
WORKDIR /src
COPY . .
# The platform that is built for, where the builder says so; else its own.
ARG TARGETARCH
# No build ID and no paths in the binary: the same source gives the same bytes. The tag leaves out net/http's own HTTP/2,
# which the action's client never speaks: 0.3 MB. Calls within the SDKs and the YAML parser are not inlined: 0.1 MB.
RUN CGO_ENABLED=0 GOARCH=$TARGETARCH \
    go build -tags nethttpomithttp2 -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -gcflags=github.com/...=-l -gcflags=go.yaml.in/...=-l -gcflags=golang.org/...=-l -o /keyvault-passwords .
RUN mkdir -p /roots/etc/ssl/certs && \
    cp /etc/ssl/certs/ca-certificates.crt /roots/etc/ssl/certs/ && \
    ln -s certs/ca-certificates.crt /roots/etc/ssl/cert.pem

FROM busybox:1.37.0-musl@sha256:5cec3fc171c87218698e85a52af7087de727372aae264a787b8112901a5b0092
# The CA roots, at both of their usual paths: jobs name one or the other in SSL_CERT_FILE. Where that is not set, Go reads
# the first bundle that it finds and then every file of a folder, by default /etc/ssl/certs, where each root would be read
# again: some milliseconds of each run (crypto/x509, root_unix.go). So the folder named here is one for further roots,
# empty in this image.
COPY --from=build /roots/ /
ENV SSL_CERT_DIR=/usr/local/share/ca-certificates
COPY --from=build /keyvault-passwords /keyvault-passwords
# The release says which repository and version it builds.
ARG SOURCE=""
ARG VERSION="unreleased"
LABEL org.opencontainers.image.title="keyvault-passwords" \
      org.opencontainers.image.description="Passwords to a declared policy, generated into Azure Key Vault" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}"
ENTRYPOINT ["/keyvault-passwords"]
