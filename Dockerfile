# The image of Poros for those who build images with docker, podman or buildah. The program is built before, by cargo:
#
#   cargo xtask image
#   docker build --file Dockerfile --build-arg VERSION=0.2.0 --build-arg REVISION=COMMIT --tag poros:0.2.0 target/image/root
#
# `cargo xtask image` needs no Docker, and prints the second line with the version and commit put in. Its own image,
# target/image/poros.tar, holds the same files; what differs is that its digest can be had again from the same commit.
FROM scratch
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="poros" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY . /
USER 65532:65532
ENTRYPOINT ["/poros"]
