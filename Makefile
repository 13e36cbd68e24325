.PHONY: test fast check demo
test:        ## the whole suite
	pytest
fast:        ## without the slow tests
	pytest -m "not slow"
check:       ## what CI checks besides the tests
	ruff check . && ruff format --check . && mypy && lint-imports
demo:        ## the main study at its smallest scale
	python -m vtbench run studies/pos_embed.yaml
