{{- define "sconce.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sconce.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "sconce.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "sconce.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels that belong to every object and never change, so that a selector may ask for them. */}}
{{- define "sconce.releaseLabels" -}}
app.kubernetes.io/name: {{ include "sconce.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The Pods that serve, and no others: Pods that pull or test have another component. */}}
{{- define "sconce.selectorLabels" -}}
{{ include "sconce.releaseLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "sconce.labels" -}}
{{ include "sconce.labelsWith" (list . (dict)) }}
{{- end }}

{{/* The same and more, which win over those of all: a list of the root and of these. */}}
{{- define "sconce.labelsWith" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "sconce.releaseLabels" $root }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with merge (dict) (index . 1 | default dict) ($root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sconce.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sconce.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sconce.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default (printf "%s%s" .Chart.AppVersion (ternary "-cuda" "" .Values.gpu.enabled)) .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "sconce.cacheClaim" -}}
{{- default (printf "%s-cache" (include "sconce.fullname" .)) .Values.cache.existingClaim }}
{{- end }}

{{- define "sconce.jobsClaim" -}}
{{- default (printf "%s-jobs" (include "sconce.fullname" .)) .Values.jobs.existingClaim }}
{{- end }}
