output "endpoint" {
  description = "The id of the endpoint, for `gcloud ai endpoints raw-predict`."
  value       = local.ground.endpoint
}

output "service_account" {
  description = "Who the container runs as; grant it what it is to read and write."
  value       = local.ground.service_account
}
