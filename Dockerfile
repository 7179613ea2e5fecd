# One image; the command chooses the api or the worker.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/yocho
WORKDIR /src
# The dependencies change less often than the code: a layer of their own.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN mkdir service lnmf_core && touch service/__init__.py lnmf_core/__init__.py \
 && /opt/yocho/bin/pip install --constraint constraints.txt .
COPY lnmf_core lnmf_core
COPY service service
RUN /opt/yocho/bin/pip install --no-deps --force-reinstall .
# Compile the packet loops now, not at the first request.
COPY examples/lab.pcap /tmp/lab.pcap
ENV NUMBA_CACHE_DIR=/var/cache/yocho
RUN /opt/yocho/bin/yocho scan --format jsonl /tmp/lab.pcap > /dev/null

FROM python:3.11-slim-bookworm
ENV PATH=/opt/yocho/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/var/cache/yocho YOCHO_DATABASE=/data/yocho.db
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin yocho \
 && mkdir /data && chown yocho:yocho /data
COPY --from=build /opt/yocho /opt/yocho
# Writable: on another kind of processor the loops are compiled again.
COPY --from=build --chown=yocho:yocho /var/cache/yocho /var/cache/yocho
USER yocho
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Inside a container every address is needed; publish the port on the host's loopback, as deploy/ does.
CMD ["yocho", "serve", "--host", "0.0.0.0"]
