"""Only workers can empty a full Redis: it keeps none from starting, and none from its work."""

from pathlib import Path

import pytest
from redis import Redis
from redis_server import RedisServer
from sluice_processes import started
from worker_site import Site

from sluice_worker.process.station import Exit

pytestmark = pytest.mark.timeout(300)


def test_workers_start_on_a_full_redis_and_empty_it(own_redis: RedisServer, tmp_path: Path) -> None:
    site = Site(own_redis.url, tmp_path)
    jobs = [site.submit() for _ in range(3)]
    with Redis.from_url(own_redis.url) as ops:
        ops.config_set("maxmemory", 1)
        with site.worker() as worker, started(tmp_path, "deliver", redis_url=site.url) as deliverer:
            for each in (worker, deliverer):
                each.await_ready()
                assert "action=redis.doubtful" in each.said()
            site.succeeds(*jobs)
            ops.config_set("maxmemory", 0)
            site.succeeds(site.submit())
            assert (worker.stop(), deliverer.stop()) == (Exit.DONE, Exit.DONE)
            assert "Traceback" not in worker.said() + deliverer.said()
            assert ops.hlen("sluice:unacked.extract") == 0
    site.client.close()
