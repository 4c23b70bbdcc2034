"""Rules over indicators, as data: when somebody is to be told of a number, and in what words. Pure; the role that tells is a consumer."""
