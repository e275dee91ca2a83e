# A worker: the wheel's dependencies as locked, the core, and the checkout that Prefect loads flows from.
#
#   docker build -t wavemend-worker .
#
# Configuration comes from the environment; see docs/how-to/run-in-production.md. Name the base by
# digest in your own builds. No secret belongs into this image.
FROM python:3.11-slim-bookworm

# ssh-keygen checks signatures.
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/wavemend --shell /usr/sbin/nologin wavemend

WORKDIR /opt/wavemend
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

COPY . .
# setuptools is in the lock: nothing is fetched here that has no hash.
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && python -m compileall -q src flows tasks blocks deployments

ENV WAVEMEND_HOME=/var/lib/wavemend/home \
    WAVEMEND_CHECKOUT=/opt/wavemend \
    PYTHONPATH=/opt/wavemend \
    DO_NOT_TRACK=1 \
    PREFECT_HOME=/var/lib/wavemend/prefect \
    PREFECT_RESULTS_DEFAULT_SERIALIZER=json \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30

# The code stays root's: a flow cannot change what the next one runs.
USER wavemend
VOLUME /var/lib/wavemend

CMD ["python", "-m", "prefect", "worker", "start", "--pool", "wavemend", "--type", "process"]
