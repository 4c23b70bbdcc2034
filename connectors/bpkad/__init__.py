"""The finance agency: budget, cash plan and payment orders of SIPD-RI."""
