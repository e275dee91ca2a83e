param()
# include: common.ps1
# include: common_files.ps1
# include: common_points.ps1

# The ways back that Windows itself lists now and that carry a label of ours. Reads only.
$shadows = Get-ShadowPoints (Get-Root)
[ordered]@{ points = @(Get-RestorePoints) + $shadows.points; damaged = $shadows.damaged }
