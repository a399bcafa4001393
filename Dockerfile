# One image for all steps of a run: on processors (`--target cpu`) or on NVIDIA GPUs (`--target gpu`). See docs/kubeflow.md.
#
#   docker build --target cpu -t lesiongan .
#
# BASE is any image with Python 3.11 to 3.13, its `venv`, and /bin/sh. What pip needs to reach a package index of your own is
# handed in and stays out of the image: `--secret id=pip.conf,src=FILE`, and `--secret id=ca.crt,src=FILE` for a certificate
# authority of your own (then pip.conf says `cert = /run/secrets/ca.crt`).
ARG BASE=python:3.12-slim


FROM ${BASE} AS build
# The environment has no pip of its own: nothing is installed into it later.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/lesiongan
WORKDIR /build
# The libraries before the code, so that a changed line of code installs nothing again.
COPY constraints.txt pyproject.toml deploy/image/install-libraries ./


FROM build AS cpu-libraries
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    ./install-libraries cpu imagenet cloud


FROM build AS gpu-libraries
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    ./install-libraries gpu imagenet cloud


FROM build AS code
COPY setup.py README.md LICENSE ./
COPY lesiongan lesiongan
COPY components components
COPY pipelines pipelines
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    /opt/pip/bin/pip --python /opt/lesiongan/bin/python --disable-pip-version-check install -q --no-cache-dir --no-deps \
    --target /opt/code .


FROM ${BASE} AS runtime
RUN useradd --uid 1000 --create-home lesiongan
# in number: Kubernetes's runAsNonRoot cannot look names up
USER 1000:1000
WORKDIR /home/lesiongan
ENV PATH=/opt/lesiongan/bin:/opt/code/bin:$PATH PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
CMD ["lesiongan", "--help"]


FROM runtime AS gpu
COPY --from=gpu-libraries /opt/lesiongan /opt/lesiongan
COPY --from=code /opt/code /opt/code


FROM runtime AS cpu
COPY --from=cpu-libraries /opt/lesiongan /opt/lesiongan
COPY --from=code /opt/code /opt/code
