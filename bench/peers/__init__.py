"""Other clients, each as good as it can be configured, sending over one session where it can keep one."""
