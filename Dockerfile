# The dashboard for a team's server; docs/how-to/docker.md says how to run it.
FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
RUN python -m venv /opt/tuneroi
# What tuneroi needs comes before its sources: a change of the sources installs nothing anew.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['library-postgres'], sep='\n')" > needed.txt \
    && /opt/tuneroi/bin/pip install --requirement needed.txt
COPY README.md LICENSE ./
COPY pricing pricing
COPY estimator estimator
RUN /opt/tuneroi/bin/pip install --no-deps .

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 10001 tuneroi && install -d -o tuneroi /home/tuneroi/data
COPY --from=build /opt/tuneroi /opt/tuneroi
ENV PATH=/opt/tuneroi/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TUNEROI_DATA=/home/tuneroi/data HF_HUB_OFFLINE=1
USER tuneroi
WORKDIR /home/tuneroi
VOLUME /home/tuneroi/data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health')"]
CMD ["tuneroi", "dashboard", "--address", "0.0.0.0", "--port", "8501"]
