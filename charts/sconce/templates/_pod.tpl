{{/* Parts of every Pod that runs the program: those that serve and those that pull. */}}

{{- define "sconce.env" -}}
- name: SCONCE_CONFIG
  value: /etc/sconce/sconce.toml
# These here and not only in the file: variables are stronger, and the image has its own for models that are baked in.
- name: SCONCE_STORE__CACHE_DIR
  value: {{ .Values.cache.mountPath }}/hub
{{- with .Values.defaultModel }}
- name: SCONCE_DEFAULT_MODEL
  value: {{ . | quote }}
{{- end }}
{{- with dig "store" "read_only" "" .Values.config }}
- name: SCONCE_STORE__READ_ONLY
  value: {{ ternary (join ":" .) . (kindIs "slice" .) | quote }}
{{- end }}
{{- include "sconce.secretEnv" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sconce.volumeMounts" -}}
- name: config
  mountPath: /etc/sconce
  readOnly: true
- name: cache
  mountPath: {{ .Values.cache.mountPath }}
- name: tmp
  mountPath: /tmp
{{- if include "sconce.secretFiles" . | fromYaml }}
- name: secrets
  mountPath: /run/sconce
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sconce.volumes" -}}
- name: config
  configMap:
    name: {{ include "sconce.fullname" . | quote }}
- name: cache
  {{- if eq .Values.cache.type "persistentVolumeClaim" }}
  persistentVolumeClaim:
    claimName: {{ include "sconce.cacheClaim" . | quote }}
  {{- else if eq .Values.cache.type "hostPath" }}
  hostPath:
    path: {{ .Values.cache.hostPath }}
    type: Directory
  {{- else if .Values.cache.size }}
  emptyDir:
    sizeLimit: {{ .Values.cache.size }}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSize }}
{{- if include "sconce.secretFiles" . | fromYaml }}
{{ include "sconce.secretVolume" . | trim }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A volume that no two Pods share: the server that opened it keeps others out. */}}
{{- define "sconce.jobsVolume" -}}
- name: jobs
  {{- if eq .Values.jobs.type "persistentVolumeClaim" }}
  persistentVolumeClaim:
    claimName: {{ include "sconce.jobsClaim" . | quote }}
  {{- else if eq .Values.jobs.type "ephemeral" }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .Values.jobs.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests:
            storage: {{ .Values.jobs.size }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.jobs.size }}
  {{- end }}
{{- end }}

{{- define "sconce.podDefaults" -}}
serviceAccountName: {{ include "sconce.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
# The variables that Kubernetes makes of services look like settings: SCONCE_PORT=tcp://…
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.tolerations (ternary .Values.gpu.tolerations list .Values.gpu.enabled) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The container that fills the cache and ends. */}}
{{- define "sconce.pullContainer" -}}
- name: pull
  image: {{ include "sconce.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # Without names: the configured models.
  args: {{ concat (list "pull") .Values.preDownload.models | toJson }}
  env:
    {{- include "sconce.env" . | nindent 4 }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .Values.preDownload.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "sconce.volumeMounts" . | nindent 4 }}
{{- end }}

{{/* What of a Pod's template belongs to both a Job's name and the Job: a Job cannot be changed, only replaced. */}}
{{- define "sconce.pullPod" -}}
metadata:
  labels:
    {{- include "sconce.labelsWith" (list . .Values.podLabels) | nindent 4 }}
    app.kubernetes.io/component: pull
  annotations:
    checksum/config: {{ include "sconce.toml" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "sconce.podDefaults" . | nindent 2 }}
  restartPolicy: Never
  containers:
    {{- include "sconce.pullContainer" . | nindent 4 }}
  volumes:
    {{- include "sconce.volumes" . | nindent 4 }}
{{- end }}

{{/* How long a start may take before it counts as failed, in seconds. */}}
{{- define "sconce.startSeconds" -}}
{{- ternary .Values.probes.startupSeconds 60 (eq .Values.loadMode "startup") | int }}
{{- end }}

{{/* A volume of one node goes from the old Pod to the new one, so the old one has to end first. */}}
{{- define "sconce.strategy" -}}
{{- $alone := or (eq .Values.jobs.type "persistentVolumeClaim") (and (eq .Values.cache.type "persistentVolumeClaim") (eq .Values.cache.accessMode "ReadWriteOnce")) }}
{{- if .Values.strategy }}
{{- toYaml .Values.strategy }}
{{- else if $alone -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
{{- end }}
{{- end }}
