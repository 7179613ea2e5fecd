# One image; the command chooses the api, the worker, the sensor or the replay of a folder.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without pip: what runs installs nothing.
RUN python -m venv --without-pip /opt/yocho
WORKDIR /src
# The dependencies change less often than the code: a layer of their own.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN mkdir service lnmf_core yocho && touch service/__init__.py lnmf_core/__init__.py yocho/__init__.py \
 && python -m pip --python /opt/yocho/bin/python install --no-compile --constraint constraints.txt '.[tracing]'
COPY lnmf_core lnmf_core
COPY service service
COPY yocho yocho
RUN python -m pip --python /opt/yocho/bin/python install --no-compile --no-deps --force-reinstall .
# Nobody runs the dependencies' own tests or checks types here, of scipy only arrays and functions are used, of scapy no
# protocol: what follows would fail if anything of ours needed the rest.
WORKDIR /opt/yocho/lib/python3.11/site-packages
RUN find . -type d \( -name tests -o -name labextension \) -prune -exec rm -rf {} + \
 && find . -name '*.pyi' -delete && rm -rf scapy/contrib
WORKDIR /opt/yocho/lib/python3.11/site-packages/scipy
RUN rm -rf cluster datasets differentiate fftpack integrate interpolate io misc ndimage odr optimize signal spatial stats
# Compile now, not at the first request: the packet loops, and of all that is installed the modules that are used.
COPY examples/lab.pcap /tmp/lab.pcap
ENV NUMBA_CACHE_DIR=/var/cache/yocho
WORKDIR /tmp
RUN /opt/yocho/bin/yocho scan --format jsonl lab.pcap > /dev/null \
 && /opt/yocho/bin/yocho database upgrade --database built.db \
 && /opt/yocho/bin/python -c "import importlib, pkgutil, service; \
[importlib.import_module(module.name) for module in pkgutil.walk_packages(service.__path__, 'service.') if 'migrations' not in module.name]"

FROM python:3.11-slim-bookworm
ENV PATH=/opt/yocho/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/var/cache/yocho
# Folders of volumes are made here: a new volume takes their owner over.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin yocho \
 && mkdir -p /data /spool /secrets/api /secrets/store /secrets/prometheus /secrets/grafana /secrets/sensor \
 && chown -R yocho:yocho /data /spool /secrets
COPY --from=build /opt/yocho /opt/yocho
# Writable: on another kind of processor the loops are compiled again.
COPY --from=build --chown=yocho:yocho /var/cache/yocho /var/cache/yocho
# An interpreter with the two capabilities that a sensor needs, so that it need not be root: cap_net_admin (12) and
# cap_net_raw (13), permitted and effective, as linux/capability.h lays them out. A container that lacks either can't
# start it, and watch gives both up once its interface is open.
RUN python -c "import os, shutil, struct, sys; \
shutil.copy(os.path.realpath('/opt/yocho/bin/python'), '/opt/yocho/bin/python-sensor'); \
os.setxattr('/opt/yocho/bin/python-sensor', 'security.capability', struct.pack('<5I', 0x02000001, 3 << 12, 0, 0, 0))"
# By number, so that whoever runs it can see that this is not root.
USER 10001:10001
# The SQLite file is here, unless YOCHO_DATABASE or YOCHO_DATABASE_FILE names another database.
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Whether the process lives: supervisors that restart by it restart only what hangs. Load balancers ask /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Inside a container every address is needed, and so is a token: yocho token new makes one for YOCHO_ADMIN_TOKEN.
CMD ["yocho", "serve", "--host", "0.0.0.0"]
