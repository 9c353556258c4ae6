{{/* How Prometheus asks a Pod, for both kinds of monitor. */}}
{{- define "sconce.scrape" -}}
- port: http
  path: /metrics
  interval: {{ .Values.metrics.interval }}
  scrapeTimeout: {{ .Values.metrics.scrapeTimeout }}
  {{- if eq (include "sconce.scheme" .) "HTTPS" }}
  scheme: https
  # The certificate names a host, and Pods are asked by their addresses.
  tlsConfig:
    insecureSkipVerify: true
  {{- end }}
  {{- with .Values.metrics.authorization }}
  authorization:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Alerts and the dashboard know the server by its job, whatever the release is called.
  relabelings:
    - action: replace
      targetLabel: job
      replacement: sconce/{{ include "sconce.fullname" . }}
{{- end }}

{{- define "sconce.monitorLabels" -}}
{{ include "sconce.labelsWith" (list . .Values.metrics.labels) }}
{{- end }}
