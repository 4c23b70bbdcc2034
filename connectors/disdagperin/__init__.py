"""The trade agency: daily prices of food by market and commodity."""
