{# A model lies in the schema its folder names, whoever runs it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{# Models are granted by their configuration; on PostgreSQL their schemas must be too. #}
{% macro grant_schemas_to_analyst() %}{{ return(adapter.dispatch('grant_schemas_to_analyst')()) }}{% endmacro %}

{% macro default__grant_schemas_to_analyst() %}
    {%- set schemas = results | map(attribute='node') | map(attribute='schema') | unique | list -%}
    {%- for schema in ['dm', 'ap'] if schema in schemas %}
    grant usage on schema {{ schema }} to {{ env_var('WAREHOUSE_ANALYST', 'analyst') }};
    {%- endfor %}
{% endmacro %}

{% macro sqlserver__grant_schemas_to_analyst() %}{% endmacro %}

{# Whether this run adds to what is there. The variable answers where there is no database to ask. #}
{% macro is_incremental() -%}
    {%- if is_rendering_state() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if var('compile_incremental', none) is not none -%}
        {{ return(var('compile_incremental') and config.get('materialized') == 'incremental') }}
    {%- endif -%}
    {{ return(dbt.is_incremental()) }}
{%- endmacro %}
