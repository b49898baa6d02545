# One image for every service: what follows `docker run <image>` is the module to run and its arguments.
#
#   docker build -t alpaca-backbone .
#   docker run --rm alpaca-backbone algos --help
#
# Any image with Python 3.11 or newer and pip will do as the base.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# The environment has no pip of its own: the base image's installs into it, and nothing in it can install more.
RUN python3 -m venv --without-pip /opt/backbone
# Dependencies first, so that a change of the source does not install them again. What to install comes from
# pyproject.toml, without the tools of development; which versions, from the lock.
COPY pyproject.toml requirements.lock ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > runtime.txt \
    && pip --python /opt/backbone/bin/python install --no-cache-dir --disable-pip-version-check \
        --requirement runtime.txt --constraint requirements.lock
COPY . .
RUN pip --python /opt/backbone/bin/python install --no-cache-dir --disable-pip-version-check --no-deps .

FROM ${PYTHON_IMAGE}
# A fixed number, so that files given from outside can be made readable to it. It owns nothing in the image.
RUN echo 'backbone:x:10001:10001:backbone:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'backbone:x:10001:' >> /etc/group
# A volume there takes its owner from here, so that halts can be written down, journals archived, and what a
# server does not take spooled, in it.
RUN mkdir --mode=770 /halts /archive /spool && chown 10001:10001 /halts /archive /spool
# Slim images bring the standard library uncompiled, and nothing can be written at run time: without this every start
# of Python, and each look at health is one, compiles it again.
RUN python3 -m compileall -q -x '/(site-packages|dist-packages|test|tests|idlelib|lib2to3)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/backbone /opt/backbone
LABEL org.opencontainers.image.title=alpaca-backbone org.opencontainers.image.licenses=Apache-2.0
ENV PATH=/opt/backbone/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
# Modules rather than `backbone`: an algorithm's process then loads neither the command line nor alpaca-py.
ENTRYPOINT ["python", "-m"]
CMD ["ops"]
