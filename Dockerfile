# Images of Sconce: `docker build .` makes the one for CPUs, `--build-arg ACCELERATOR=cuda` the one for NVIDIA GPUs.
# `--build-arg MODELS=openai/whisper-base` bakes models in (a list, as in MODEL_ID) and serves them, with nothing to fetch
# at the start; a gated one needs `--secret id=hf-token,src=FILE`.
# `--build-arg ESPEAK_NG=yes` adds the program espeak-ng, which speaks as a process of its own; it is under the GPL.
ARG ACCELERATOR=cpu
ARG ESPEAK_NG=no
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim
# `with` carries ffmpeg, which hears what is not decoded here: 132 MB to fetch and 462 MB on disk, so not by default.
ARG FFMPEG=without

FROM ${RUST_IMAGE} AS toolchain
# Writes into the program which packages it is made of, where scanners and makers of SBOMs look for them.
RUN cargo install --locked cargo-auditable@0.7.7

FROM toolchain AS build-cpu
ENV FEATURES=""

FROM toolchain AS build-cuda
# NVIDIA's packages on PyPI, pinned with hashes: no base of NVIDIA's is needed. Python stays behind here.
RUN apt-get update && apt-get install -y --no-install-recommends g++ python3-pip && rm -rf /var/lib/apt/lists/*
COPY deploy/cuda/toolkit deploy/cuda/toolkit.txt /opt/sconce/
RUN PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore /opt/sconce/toolkit /usr/local/cuda
# Without kernels that no model here has.
COPY --chmod=0755 deploy/cuda/nvcc /opt/sconce/nvcc
ENV NVCC=/opt/sconce/nvcc CUDA_HOME=/usr/local/cuda PATH=/usr/local/cuda/bin:${PATH} FEATURES=cuda
# The program wants a driver to start at all; a machine that builds has none, and models are baked in there. The toolkit has
# a stub of it.
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib:/usr/local/cuda/lib/stubs
# Ampere, which every newer GPU can run (8.0, 8.6, 8.9, 9.0, 10.0, 12.0); 75 for a T4, which then computes no bf16.
ARG CUDA_COMPUTE_CAP=80
ENV CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP}

FROM build-${ACCELERATOR} AS build
# `dist` is the smallest and fastest; `release` builds sooner.
ARG PROFILE=dist
WORKDIR /src
# The dependencies, with an empty program: a change of ours does not build them again. They are a layer and not a cache
# mount because a registry keeps layers too, for machines that build an image once, as those of CI do.
COPY Cargo.toml Cargo.lock ./
COPY crates/audio/Cargo.toml ./crates/audio/
COPY crates/nn/Cargo.toml ./crates/nn/
RUN sed -i '/^\[\[\(bench\|test\)\]\]/,/^$/d' Cargo.toml crates/nn/Cargo.toml \
    && mkdir src crates/audio/src crates/nn/src && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs crates/audio/src/lib.rs crates/nn/src/lib.rs \
    && cargo auditable build --locked --profile "${PROFILE}" --features "${FEATURES}"
COPY assets/models ./assets/models
COPY crates ./crates
COPY docs ./docs
COPY src ./src
# Cargo goes by times, and those of a checkout may be older than the empty program.
RUN touch src/main.rs src/lib.rs crates/audio/src/lib.rs crates/nn/src/lib.rs \
    && cargo auditable build --locked --profile "${PROFILE}" --features "${FEATURES}" \
    && install -s -D "target/${PROFILE}/sconce" /out/usr/local/bin/sconce \
    && rm -rf target
COPY LICENSE /out/usr/share/doc/sconce/LICENSE
COPY assets/models/lark.en/NOTICE /out/usr/share/doc/sconce/NOTICE
COPY --chmod=0755 entrypoint.sh /out/usr/local/bin/entrypoint.sh
# Certificates of the base may be years old or absent. The cache belongs to whoever runs the image: platforms choose users.
RUN install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /out/var/cache/sconce

FROM build AS models
ARG MODELS=""
ARG HF_ENDPOINT=""
RUN --mount=type=secret,id=hf-token \
    mkdir /models \
    && if [ -e /run/secrets/hf-token ]; then export HF_TOKEN_PATH=/run/secrets/hf-token; fi \
    && if [ -n "${MODELS}" ]; then MODEL_ID="${MODELS}" HF_HUB_CACHE=/models /out/usr/local/bin/sconce pull; fi

FROM ${RUNTIME_IMAGE} AS runtime-cpu
FROM ${RUNTIME_IMAGE} AS runtime-cuda
# What the program is linked to, and NVRTC, which cuBLAS loads by its name. The driver comes from the host.
COPY --from=build-cuda \
    /usr/local/cuda/lib/libcublas.so.13 \
    /usr/local/cuda/lib/libcublasLt.so.13 \
    /usr/local/cuda/lib/libcurand.so.10 \
    /usr/local/cuda/lib/libnvrtc.so.13 \
    /usr/local/cuda/lib/libnvrtc-builtins.so.13.0 \
    /usr/local/cuda/lib64/
COPY --from=build-cuda /usr/local/cuda/EULA.txt /usr/share/doc/nvidia-cuda/EULA.txt
# What NVIDIA's Container Toolkit reads; it mounts the driver where the loader looks. GKE's device plugin mounts it in
# /usr/local/nvidia.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_REQUIRE_CUDA=cuda>=13.0 \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/cuda/lib64
# The driver compiles the kernels for the card that it finds, once, and keeps them in the cache, which is a volume.
ENV CUDA_CACHE_PATH=/var/cache/sconce/cuda CUDA_CACHE_MAXSIZE=1073741824

FROM runtime-${ACCELERATOR} AS espeak-ng-no
FROM runtime-${ACCELERATOR} AS espeak-ng-yes
RUN apt-get update && apt-get install -y --no-install-recommends espeak-ng && rm -rf /var/lib/apt/lists/*

FROM espeak-ng-${ESPEAK_NG} AS runtime-without-ffmpeg
FROM espeak-ng-${ESPEAK_NG} AS runtime-with-ffmpeg
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*

# Nothing is run in here unless it is asked for, so that a base without a shell does too; `--entrypoint sconce` starts it
# there.
FROM runtime-${FFMPEG}-ffmpeg
COPY --from=models /models /models
COPY --from=build /out /
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sconce" \
      org.opencontainers.image.description="Serves speech models and loads them the way production asks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Baked models are read where they are; others are fetched into the cache, unless a setting says where.
ARG MODELS=""
ENV MODEL_ID=${MODELS} \
    SCONCE_STORE__READ_ONLY=/models \
    XDG_CACHE_HOME=/var/cache/sconce
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
# By the program itself, without a shell. While models are fetched and loaded at the start, it is only not yet healthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m --retries=3 CMD ["/usr/local/bin/sconce", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]
CMD ["serve"]
