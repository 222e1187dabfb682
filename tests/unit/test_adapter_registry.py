"""The registry's twin keeps the contract."""

import pytest
from registry_contract import RegistryContract

from sluice_worker.adapters.memory_registry import MemoryAdapterRegistry


class TestMemory(RegistryContract):
    @pytest.fixture
    def registry(self) -> MemoryAdapterRegistry:
        return MemoryAdapterRegistry()
