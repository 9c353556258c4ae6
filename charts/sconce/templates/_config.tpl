{{/* What of the cache's own volume the server may fill: less than its limit, beyond which the kubelet evicts the Pod. */}}
{{- define "sconce.quota" -}}
{{- if and (eq .Values.cache.type "emptyDir") .Values.cache.size }}
{{- $unit := regexFind "[A-Za-z]+$" .Values.cache.size }}
{{- printf "%.2f%s" (mulf (trimSuffix $unit .Values.cache.size | float64) 0.95) $unit }}
{{- end }}
{{- end }}

{{/* The settings that the chart decides, from its values and from what it knows of the container, as YAML. */}}
{{- define "sconce.decided" -}}
load_mode: {{ .Values.loadMode }}
{{- with .Values.defaultModel }}
default_model: {{ . | quote }}
{{- end }}
server:
  port: {{ .Values.service.containerPort | int }}
  grace: {{ .Values.shutdown.graceSeconds | int }}s
  drain: {{ .Values.shutdown.drainSeconds | int }}s
{{- with include "sconce.quota" . }}
store: {quota: {{ . }}}
{{- end }}
# The container has a limit, and a model that does not fit under it is better refused than killed with all others.
memory: {budget: auto}
{{- if .Values.gpu.enabled }}
# A GPU that is paid for and not there is a fault, and no reason to be twenty times slower.
runtime: {require_gpu: true}
{{- end }}
{{- if ne .Values.jobs.type "memory" }}
jobs: {dir: /var/lib/sconce/jobs}
{{- end }}
{{- with include "sconce.secretFiles" . | fromYaml }}
{{- if hasKey . "access.file" }}
access: {file: {{ index . "access.file" }}}
{{- end }}
{{- if hasKey . "remote.gcs.credentials" }}
remote: {gcs: {credentials: {{ index . "remote.gcs.credentials" }}}}
{{- end }}
{{- if hasKey . "tls.certificate" }}
tls: {certificate: {{ index . "tls.certificate" }}, key: {{ index . "tls.key" }}}
{{- end }}
{{- end }}
log: {format: json}
{{- end }}

{{/* All settings: what the chart decides, under what `config` says. */}}
{{- define "sconce.settings" -}}
{{- $models := ternary (dict "models" .Values.models) dict (not (empty .Values.models)) }}
{{- mergeOverwrite (include "sconce.decided" . | fromYaml) (deepCopy $models) (deepCopy .Values.config) | toYaml }}
{{- end }}

{{- define "sconce.toml" -}}
{{- include "sconce.tomlTable" (dict "table" (include "sconce.settings" . | fromYaml) "path" "") | trim }}
{{- end }}

{{/* How the server is spoken to: HTTPS where it has a certificate. */}}
{{- define "sconce.scheme" -}}
{{- $tls := dig "tls" "certificate" "none" (include "sconce.settings" . | fromYaml) }}
{{- ternary "HTTP" "HTTPS" (eq $tls "none") }}
{{- end }}

{{/* The port of the Wyoming protocol; nothing, where there is none. */}}
{{- define "sconce.wyomingPort" -}}
{{- $port := dig "wyoming" "port" "none" (include "sconce.settings" . | fromYaml) }}
{{- if ne (toString $port) "none" }}{{ int $port }}{{ end }}
{{- end }}

{{/* Whether callers need a key. */}}
{{- define "sconce.locked" -}}
{{- $secrets := include "sconce.secrets" . | fromYaml }}
{{- $file := dig "access" "file" "none" (include "sconce.settings" . | fromYaml) }}
{{- if or (hasKey $secrets "access.keys") (hasKey $secrets "access.admin_keys") (ne $file "none") }}true{{ end }}
{{- end }}
