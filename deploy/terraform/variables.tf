# The options of deploy_on_demand.sh and deploy_with_entrypoint.sh, with their defaults.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "load_mode" {
  description = "on_demand: healthy at once, the first request brings the model in. startup: healthy only when it is ready."
  type        = string
  default     = "on_demand"

  validation {
    condition     = contains(["on_demand", "startup"], var.load_mode)
    error_message = "load_mode is on_demand or startup."
  }
}

variable "region" {
  description = "Where everything is."
  type        = string
  default     = "us-central1"
}

variable "name" {
  description = "Of the model and of the endpoint."
  type        = string
  default     = "sconce"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "name has lower-case letters, digits and dashes, and begins with a letter."
  }
}

variable "model_id" {
  description = "What the server loads: organisation/name of the hub."
  type        = string
  default     = "openai/whisper-base"
}

variable "artifacts" {
  description = "gs://BUCKET/DIR: files of the model instead; the container gets them as AIP_STORAGE_URI."
  type        = string
  default     = ""

  validation {
    condition     = var.artifacts == "" || startswith(var.artifacts, "gs://")
    error_message = "artifacts is gs://BUCKET/DIR."
  }
}

variable "image" {
  description = "One that is in the Artifact Registry already, best with its digest. Empty: it is built on this machine, by docker."
  type        = string
  default     = ""
}

variable "repository" {
  description = "Of the Artifact Registry, for images that are built."
  type        = string
  default     = "sconce"
}

variable "bake" {
  description = "Put the files of the model into the image that is built."
  type        = bool
  default     = false
}

variable "machine_type" {
  description = "Empty: n1-standard-4, or what fits the accelerator."
  type        = string
  default     = ""
}

variable "accelerator" {
  description = "TYPE or TYPE:COUNT, such as nvidia-l4:1; then the CUDA image is built."
  type        = string
  default     = ""

  validation {
    condition     = var.accelerator == "" || can(regex("^[a-z0-9-]+(:[1-9][0-9]*)?$", var.accelerator))
    error_message = "accelerator is TYPE or TYPE:COUNT, such as nvidia-l4:1."
  }
}

variable "min_replicas" {
  description = "Vertex AI keeps at least one."
  type        = number
  default     = 1

  validation {
    condition     = var.min_replicas >= 1
    error_message = "min_replicas is at least 1."
  }
}

variable "max_replicas" {
  description = "At least min_replicas."
  type        = number
  default     = 1

  validation {
    condition     = var.max_replicas >= var.min_replicas
    error_message = "max_replicas is at least min_replicas."
  }
}

variable "target_utilization" {
  description = "Percent of CPU or GPU above which replicas are added. Null: 70, or 50 in the mode startup, where a new replica takes longer."
  type        = number
  default     = null
}

variable "dedicated_endpoint" {
  description = "An address of its own: 10 MB, up to an hour and streams, in place of 1.5 MB, a minute and none. gcloud has no option for it, so that the scripts make no such endpoint, but they deploy to one."
  type        = bool
  default     = false
}

variable "env" {
  description = "More settings of the server. They are in the state of Terraform and in the model's description: no place for secrets that others must not see."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.env) : !startswith(key, "AIP_") && key != "LOAD_MODE"])
    error_message = "Vertex AI sets the AIP_ variables itself, and load_mode sets LOAD_MODE."
  }

  validation {
    condition     = !strcontains(join("", values(var.env)), "\n")
    error_message = "A value has one line."
  }
}
