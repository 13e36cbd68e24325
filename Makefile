.PHONY: test slow check demo
test:        ## the whole suite
	pytest
slow:        ## the slow tests
	pytest -m "slow and not timing" && pytest -n 0 -m timing
check:       ## what CI checks besides the tests
	ruff check . && ruff format --check . && mypy && lint-imports
demo:        ## the main study at its smallest scale
	python -m vtbench run studies/pos_embed.yaml
