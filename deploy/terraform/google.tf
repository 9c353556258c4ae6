# What Google's provider can make. Uploading a model and deploying it are not among that: there is no resource for a
# model, and google_vertex_ai_endpoint only shows what others deployed
# (https://github.com/hashicorp/terraform-provider-google/issues/25152). The one resource that deploys,
# google_vertex_ai_endpoint_with_model_garden_deployment, starts from a model of the Model Garden, knows no artifacts, and
# replaces the endpoint at every change. So deployment.tf has the script do those two steps.

terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "needed" {
  for_each           = toset(["aiplatform.googleapis.com", "artifactregistry.googleapis.com"])
  service            = each.key
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  location      = var.region
  repository_id = var.repository
  format        = "DOCKER"
  description   = "Images of Sconce"
  depends_on    = [google_project_service.needed]
}

# Who the container runs as: nobody in particular, who may do nothing. Give it what `gs://` sources and answers need.
resource "google_service_account" "server" {
  account_id   = "${substr(var.name, 0, 20)}-server"
  display_name = "Sconce on Vertex AI: ${var.name}"
}

# Its id has to be a number; one that follows from the name is the same on every machine.
resource "google_vertex_ai_endpoint" "endpoint" {
  name         = 1000000000 + parseint(substr(sha256("${var.project}/${var.region}/${var.name}"), 0, 7), 16)
  display_name = var.name
  description  = "Speech, served by Sconce"
  location     = var.region
  region       = var.region

  dedicated_endpoint_enabled = var.dedicated_endpoint

  depends_on = [google_project_service.needed]

  lifecycle {
    # Deploying sets it.
    ignore_changes = [traffic_split]
  }
}

# What the script stands on.
locals {
  ground = {
    endpoint        = google_vertex_ai_endpoint.endpoint.name
    repository      = google_artifact_registry_repository.images.repository_id
    service_account = google_service_account.server.email
  }
}
