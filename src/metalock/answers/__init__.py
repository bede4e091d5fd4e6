"""What works in which version: a page of answers from the contract and the evidence."""
