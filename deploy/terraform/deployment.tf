# Uploads and deploys, by the same script that does it without Terraform: it finds the endpoint by its name, and makes
# nothing that is there already. It needs bash, gcloud (signed in), and docker where no image is named.

terraform {
  required_version = ">= 1.9"
}

locals {
  scripts = { on_demand = "deploy_on_demand.sh", startup = "deploy_with_entrypoint.sh" }
  given = {
    "--project"            = var.project
    "--region"             = var.region
    "--name"               = var.name
    "--model-id"           = var.model_id
    "--artifacts"          = var.artifacts
    "--image"              = var.image
    "--repository"         = local.ground.repository
    "--machine-type"       = var.machine_type
    "--accelerator"        = var.accelerator
    "--min-replicas"       = tostring(var.min_replicas)
    "--max-replicas"       = tostring(var.max_replicas)
    "--target-utilization" = var.target_utilization == null ? "" : tostring(var.target_utilization)
    "--service-account"    = local.ground.service_account
  }
  options = concat(
    flatten([for option, value in local.given : [option, value] if value != ""]),
    flatten([for key, value in var.env : ["--env", "${key}=${value}"]]),
    var.bake ? ["--bake"] : [],
  )
}

# Runs again when an option changes. An image that is built is not an option: `-replace terraform_data.deployment` builds
# and deploys anew, and so does another `image`.
resource "terraform_data" "deployment" {
  triggers_replace = [local.ground.endpoint, local.scripts[var.load_mode], local.options]

  depends_on = [terraform_data.undeploy]

  provisioner "local-exec" {
    # A newline parts the words, as none of them has one. They are no part of the command, which Terraform shows.
    command     = "words=(); while IFS= read -r word; do words+=(\"$word\"); done <<<\"$OPTIONS\"; \"$SCRIPT\" \"$${words[@]}\""
    interpreter = ["bash", "-ec"]
    environment = {
      SCRIPT  = "${path.module}/../${local.scripts[var.load_mode]}"
      OPTIONS = join("\n", local.options)
    }
  }
}

# An endpoint with something deployed cannot be deleted. Its own resource, so that a change of an option, which replaces
# the one above, takes nothing off the endpoint before the new one serves.
resource "terraform_data" "undeploy" {
  triggers_replace = local.ground.endpoint
  input = {
    script  = "${path.module}/../deploy_on_demand.sh"
    project = var.project
    region  = var.region
    name    = var.name
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "\"$SCRIPT\" --undeploy --project \"$PROJECT\" --region \"$REGION\" --name \"$NAME\""
    interpreter = ["bash", "-ec"]
    environment = {
      SCRIPT  = self.input.script
      PROJECT = self.input.project
      REGION  = self.input.region
      NAME    = self.input.name
    }
  }
}
