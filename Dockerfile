# jobferry's images. Targets: jobferry (the default; nothing but the program), modelarts (a shell and
# ModelArts' user), trainer (jobferry before any other image). docker/README.md tells what is inside.
#
#   docker build -t jobferry .
#   docker build -t jobferry:modelarts --target modelarts .
#   docker build -t my-trainer --target trainer --build-arg BASE=pytorch/pytorch:latest .
ARG DEBIAN=docker.io/library/debian:bookworm-slim
ARG BASE=docker.io/library/debian:bookworm-slim

# ---- what it is built with; libxml2 once more from Debian's source, without ICU's 35 MB
FROM ${DEBIAN} AS tools
# A build behind a mirror mounts its own /etc/apt/sources.list.d, with a file of settings that APT_CONFIG names.
ARG APT_CONFIG
COPY runner/packages.sh docker/image/source.sh docker/image/libxml2.sh /tools/
RUN bash -euc '. /tools/packages.sh; export DEBIAN_FRONTEND=noninteractive; \
      apt-get -q update; apt-get -q upgrade -y; \
      install_packages "${BUILD_PACKAGES[@]}" binutils dpkg-dev libcmocka-dev libmicrohttpd-dev \
        make openssl patchelf procps tzdata' \
 && bash /tools/libxml2.sh

# ---- builds, tests, and lays out what the final images copy
FROM tools AS build
ARG SOURCE_DATE_EPOCH=0
# "none" leaves the tests out, "emulated" those that qemu-user cannot do
ARG TESTS=all
COPY CMakeLists.txt CMakePresets.json LICENSE README.md /src/
COPY storage /src/storage
COPY model /src/model
COPY runner /src/runner
COPY tests /src/tests
COPY docker/image /src/docker/image
RUN bash /src/docker/image/build.sh /src /build \
 && bash /src/docker/image/rootfs.sh /build/jobferry /rootfs

# ---- the program on Debian with bash, as ModelArts wants an image
FROM ${DEBIAN} AS modelarts
ARG APT_CONFIG
ARG VERSION=0.1.0
ARG REVISION=unknown
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q upgrade -y \
 && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && groupadd -g 100 -f users && useradd -m -d /home/ma-user -u 1000 -g 100 -s /bin/bash ma-user \
 && mkdir -p /cache && chmod 1777 /cache
COPY --from=build /rootfs/opt/jobferry /opt/jobferry
COPY --from=build /rootfs/usr/share/sbom /usr/share/sbom
ENV PATH=/opt/jobferry/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL org.opencontainers.image.title="jobferry for ModelArts" \
      org.opencontainers.image.description="Ferries datasets in, trains, ferries every checkpoint out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:100
WORKDIR /home/ma-user
CMD ["bash"]

# ---- jobferry before any image: PyTorch's, MindSpore's, yours
FROM ${BASE} AS trainer
ARG VERSION=0.1.0
ARG REVISION=unknown
COPY --from=build /rootfs/opt/jobferry /opt/jobferry
COPY --from=build /rootfs/usr/share/sbom /usr/share/sbom
LABEL org.opencontainers.image.title="a trainer behind jobferry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["/opt/jobferry/bin/jobferry"]

# ---- the default: the program, the libraries its loader asks for, certificates, time zones
FROM scratch AS jobferry
ARG VERSION=0.1.0
ARG REVISION=unknown
COPY --from=build /rootfs/ /
ENV PATH=/opt/jobferry/bin HOME=/scratch
LABEL org.opencontainers.image.title="jobferry" \
      org.opencontainers.image.description="Ferries datasets in, trains, ferries every checkpoint out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
WORKDIR /scratch
ENTRYPOINT ["jobferry"]
