# dwpose-serve with its models and the browser page inside; docs/serving.md says how to use it.
#   docker build -t dwpose-infer .                              for the CPU
#   docker build -t dwpose-infer:nvidia --target nvidia .       for NVIDIA GPUs
# --build-arg MODELS="dwpose-l-384 yolox-l" puts these models inside besides the bundled ones.

FROM node:22-slim AS page
WORKDIR /source/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund
COPY . /source
RUN npm run --silent build

FROM python:3.11-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . && cp constraints.txt /wheels

FROM python:3.11-slim AS service
RUN useradd --uid 10001 --user-group --home-dir /var/lib/dwpose --create-home dwpose
COPY --from=page /source/web/dist /usr/share/dwpose
# Downloaded models and engines are kept here; a volume keeps them longer than the container.
ENV DWPOSE_HOME=/var/lib/dwpose PYTHONUNBUFFERED=1
EXPOSE 8000
# Building TensorRT's engines takes minutes, once.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]

FROM service AS nvidia
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
# The wheels of CUDA and cuDNN come along: the host needs NVIDIA's driver and container toolkit.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --constraint /wheels/constraints.txt \
    "$(echo /wheels/dwpose_infer-*.whl)[gpu,serve]" "onnxruntime-gpu[cuda,cudnn]==1.31.1"
USER 10001
ARG MODELS=""
RUN if [ -n "$MODELS" ]; then dwpose-models download $MODELS; fi
ENTRYPOINT ["dwpose-serve", "--host", "0.0.0.0", "--web", "/usr/share/dwpose", "--device", "cuda"]

FROM service AS cpu
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --constraint /wheels/constraints.txt \
    "$(echo /wheels/dwpose_infer-*.whl)[cpu,serve]"
USER 10001
ARG MODELS=""
RUN if [ -n "$MODELS" ]; then dwpose-models download $MODELS; fi
ENTRYPOINT ["dwpose-serve", "--host", "0.0.0.0", "--web", "/usr/share/dwpose"]
