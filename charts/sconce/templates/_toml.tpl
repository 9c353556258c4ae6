{{/* A value as TOML writes it. Helm's toToml is of no use: values arrive as floats, and 8080.0 is no port. */}}
{{- define "sconce.tomlValue" -}}
{{- if kindIs "float64" . }}
{{- if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else if kindIs "slice" . }}[{{ range $at, $item := . }}{{ if $at }}, {{ end }}{{ include "sconce.tomlValue" $item }}{{ end }}]
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}

{{/* A key that is not plain is quoted; TOML's quotes are JSON's. */}}
{{- define "sconce.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* A table of settings: plain values first, then a section for each nested table. Takes (dict "table" … "path" …). */}}
{{- define "sconce.tomlTable" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if and (not (kindIs "map" $value)) (not (kindIs "invalid" $value)) }}
{{ include "sconce.tomlKey" $key }} = {{ include "sconce.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $name := trimPrefix "." (printf "%s.%s" $path (include "sconce.tomlKey" $key)) }}

[{{ $name }}]
{{- include "sconce.tomlTable" (dict "table" $value "path" $name) }}
{{- end }}
{{- end }}
{{- end }}
