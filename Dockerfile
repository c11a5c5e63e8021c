# The wheel is built in the first stage; the second holds Python, the wheel and its dependencies, nothing else.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY edgeproxy ./edgeproxy
COPY rules ./rules
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin edgeproxy
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels
USER 10001
WORKDIR /srv

# Every flag of `edgeproxy serve` is also a variable. What has no sensible default is left to whoever runs it:
# EDGEPROXY_ORIGIN, EDGEPROXY_HOSTS, EDGEPROXY_KEYS. The rules are mounted at /srv/rules.
# The admin listener stays inside the container; to scrape it from outside, set EDGEPROXY_ADMIN and EDGEPROXY_ADMIN_TOKEN.
ENV EDGEPROXY_LISTEN=0.0.0.0:8080 \
    EDGEPROXY_ADMIN=127.0.0.1:8081 \
    EDGEPROXY_RULES=/srv/rules \
    PYTHONUNBUFFERED=1

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://{os.environ[\"EDGEPROXY_ADMIN\"]}/healthz', timeout=2)"]
ENTRYPOINT ["edgeproxy"]
CMD ["serve"]
