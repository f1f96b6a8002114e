# Two stages: wheels and the environment are made in the first, only the environment goes into the second.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/merganser
COPY requirements.lock ./
RUN /opt/merganser/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN /opt/merganser/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Merganser" org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent merganser
COPY --from=build /opt/merganser /opt/merganser
COPY config /etc/merganser
ENV PATH=/opt/merganser/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MERGANSER_HOST=0.0.0.0 \
    MERGANSER_PORT=8000 \
    MERGANSER_CATALOG=/etc/merganser/merganser.yaml
WORKDIR /etc/merganser
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['MERGANSER_PORT']}/readyz\", timeout=2)"]
ENTRYPOINT ["merganser"]
CMD ["serve"]
