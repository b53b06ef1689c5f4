"""Carry out faults on connections, origins and hooks; media faults are sent to origins."""
