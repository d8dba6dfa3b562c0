"""The releases of the template: which there are, what belongs to whom, and how a service gets them."""
