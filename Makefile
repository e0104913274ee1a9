# One command per need. What they make stays in this checkout and is ignored by git.
.PHONY: install run test soak check demo bench screenshots lock
.NOTPARALLEL:

install: ## only the bootstrap: .venv/bin/vaguemestre is the command afterwards
	@tools/bootstrap run

run: install ## everything on this machine, http://127.0.0.1:8587 and SMTP submission on 127.0.0.1:2525
	@exec .venv/bin/vaguemestre up

test: ## the whole suite on SQLite, and beside it ledger, courier and API on PostgreSQL
	@tools/bootstrap dev
	@tools/test

soak: ## the long runs, both databases: 200 kills, 50 SIGTERMs under load, ten minutes of faults; an hour or more
	@tools/bootstrap dev
	@tools/soak

check: ## what CI asks besides the tests: format, lint, types, imports, migrations, translations
	@tools/bootstrap dev
	@tools/check

demo: ## as run, with a capturing SMTP server and sample data, in build/demo
	@tools/bootstrap dev
	@exec .venv/bin/python tools/demo.py $(SINK)

bench: ## peers and ours in one run; QUICK=1 to try, MEASURES=… for some, such as relay (needs root for some peers)
	@tools/bootstrap dev
	@PYTHONPATH=tests .venv/bin/python -m bench $(if $(QUICK),--quick) $(MEASURES)

screenshots: ## remake docs/images, in a network of its own (needs chromium and iproute2)
	@tools/bootstrap dev
	@PYTHONPATH=tests unshare --map-root-user --net --mount .venv/bin/python tools/screenshots.py $(PICTURES)

lock: ## remake the lock files
	@tools/lock
