"""Makes what is wanted so: one worker per lease, timers, the pool, and a look at everything now and then."""
