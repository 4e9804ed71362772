"""The outside world: DynamoDB, KMS, SQS, Step Functions, the parameter stores and the payment providers."""
