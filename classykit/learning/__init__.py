"""What people train and search: what can be read off each block, heads on a frozen trunk, design spaces."""
