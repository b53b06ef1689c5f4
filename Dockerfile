# A stream manager for tests: docker build -t smproxy . && docker run --rm -p 5080:5080 -p 5100:5100/udp smproxy
# docs/containers.md says how pages, receivers on the host and other containers reach it.

FROM python:3.13-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
RUN python -m venv /opt/smproxy \
 && /opt/smproxy/bin/pip install --no-cache-dir --disable-pip-version-check '.[nats]'

FROM python:3.13-slim
COPY --from=build /opt/smproxy /opt/smproxy
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin smproxy \
 && mkdir /data \
 && chown 10001 /data
ENV PATH=/opt/smproxy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SMPROXY_HOST=0.0.0.0 \
    SMPROXY_ANY_HOST=true \
    SMPROXY_DATA_DIR=/data \
    SMPROXY_MEDIA_PORT=5100 \
    SMPROXY_MEDIA_ADDRESS=127.0.0.1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 5080 5100/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD smproxy wait "http://localhost:${SMPROXY_PORT:-5080}" --timeout 4
ENTRYPOINT ["smproxy"]
CMD ["serve"]
