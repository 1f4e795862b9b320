# The dashboard for a team's server: docker build -t tuneroi . && docker run -p 8501:8501 tuneroi
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 TUNEROI_DATA=/home/tuneroi/data HF_HUB_OFFLINE=1
WORKDIR /opt/tuneroi
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY estimator estimator
COPY pricing pricing
RUN pip install --constraint constraints.txt . && useradd --create-home tuneroi

USER tuneroi
RUN mkdir /home/tuneroi/data
WORKDIR /home/tuneroi
VOLUME /home/tuneroi/data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health')"
CMD ["tuneroi", "dashboard", "--address", "0.0.0.0", "--port", "8501"]
