"""What people look at beside the shop: admin listener, explanation page, preview bar."""
