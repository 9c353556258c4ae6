{{/* Settings that the server reads from files, which may change while it runs, and the files that hold them. */}}
{{- define "sconce.fileNames" -}}
access.file: keys.toml
remote.gcs.credentials: gcs.json
tls.certificate: tls.crt
tls.key: tls.key
{{- end }}

{{/* The key of a Secret that holds each secret setting: {store.token: {name: …, key: …}}. */}}
{{- define "sconce.secrets" -}}
{{- $found := deepCopy .Values.secrets.existing }}
{{- $made := list (list .Values.secrets.values (include "sconce.fullname" .)) (list .Values.secrets.external (printf "%s-external" (include "sconce.fullname" .))) }}
{{- range $made }}
{{- $name := last . }}
{{- range $setting, $_ := first . }}
{{- if hasKey $found $setting }}
{{- fail (printf "values: %s is given twice: in more than one of secrets.existing, secrets.external and secrets.values" $setting) }}
{{- end }}
{{- $_ := set $found $setting (dict "name" $name "key" $setting) }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{/* Where in the container the settings lie that are files: {access.file: /run/sconce/keys.toml}. */}}
{{- define "sconce.secretFiles" -}}
{{- $secrets := include "sconce.secrets" . | fromYaml }}
{{- range $setting, $file := include "sconce.fileNames" . | fromYaml }}
{{- if hasKey $secrets $setting }}
{{ $setting }}: /run/sconce/{{ $file }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sconce.secretEnv" -}}
{{- $files := include "sconce.fileNames" . | fromYaml }}
{{- range $setting, $from := include "sconce.secrets" . | fromYaml }}
{{- if not (hasKey $files $setting) }}
- name: SCONCE_{{ $setting | upper | replace "." "__" }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name | quote }}
      key: {{ $from.key | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sconce.secretVolume" -}}
{{- $files := include "sconce.fileNames" . | fromYaml }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $setting, $from := include "sconce.secrets" . | fromYaml }}
      {{- with get $files $setting }}
      - secret:
          name: {{ $from.name | quote }}
          items:
            - key: {{ $from.key | quote }}
              path: {{ . | quote }}
      {{- end }}
      {{- end }}
{{- end }}
