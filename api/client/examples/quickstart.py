"""The derivative of A*W from Python, with NumPy and the standard library alone.

    python3 quickstart.py http://127.0.0.1:8080 [API-KEY]
"""

import io
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

import numpy as np

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
KEY = sys.argv[2] if len(sys.argv) > 2 else None


def ask(method, path, body=None, **headers):
    """One request, made again while the service is at its limit; answers the body's bytes."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if KEY:
        headers["Authorization"] = f"Bearer {KEY}"
    for attempt in range(6):
        request = urllib.request.Request(URL + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read() or b"{}")
            if error.code not in (429, 503, 507) or attempt == 5:
                raise RuntimeError(f"{error.code} {problem.get('type')}: {problem.get('detail')}") from error
            time.sleep(float(error.headers.get("Retry-After", 1)))


def upload(array):
    """Stores an array and answers its id; the same array has the same id."""
    file = io.BytesIO()
    np.save(file, array)
    return json.loads(ask("POST", "/v1/arrays", file.getvalue(), Content_Type="application/x-npy"))["id"]


def compute(**job):
    """Submits a job, waits for its end, and answers its result as an array."""
    answer = ask(
        "POST",
        "/v1/jobs",
        json.dumps(job).encode(),
        Content_Type="application/json",
        Prefer="wait=30",
        Idempotency_Key=str(uuid.uuid4()),
    )
    job = json.loads(answer)
    while job["state"] in ("queued", "running"):
        time.sleep(0.2)
        job = json.loads(ask("GET", job["links"]["self"]))
    if job["state"] != "succeeded":
        raise RuntimeError(f"job {job['id']} {job['state']}: {job['error']}")
    return np.load(io.BytesIO(ask("GET", job["links"]["result"], Accept="application/x-npy")))


rng = np.random.default_rng(0)
A, H, G = rng.standard_normal((300, 200)), rng.standard_normal((200, 50)), rng.standard_normal((300, 50))
a = upload(A)

jvp = compute(operation="jvp", operands={"A": a}, direction=upload(H))
vjp = compute(operation="vjp", operands={"A": a}, cotangent=upload(G))
print("A @ H  :", jvp.shape, np.allclose(jvp, A @ H))
print("A.T @ G:", vjp.shape, np.allclose(vjp, A.T @ G))

# Columns of the Jacobian, which is kron(eye(50), A) on stacked columns; .npy in Fortran order, as NumPy reads it.
columns = compute(
    operation="jacobian",
    operands={"A": a, "W": {"shape": [200, 50]}},
    jacobian={"columns": [0, 5]},
)
print("J[:, :5]:", columns.shape, np.array_equal(columns, np.kron(np.eye(50), A)[:, :5]))
