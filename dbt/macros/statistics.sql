{#
    Let the planner know a table that was just filled, before the next model joins it: PostgreSQL would look at it only
    minutes later, and loop over what it takes for one row. A table that has hardly grown keeps what is known of it, so
    that a build costs what changed. SQL Server brings its statistics up to date by itself when a query needs them.
#}
{% macro keep_statistics() %}{{ return(adapter.dispatch('keep_statistics', 'creditmesh')()) }}{% endmacro %}

{% macro postgres__keep_statistics() -%}
    {%- if model.config.materialized != 'view' -%}
    {%- set table = this.include(database=false) -%}
    do $$
    begin
        if not exists (
            select from pg_stats as s where s.schemaname = '{{ this.schema }}' and s.tablename = '{{ this.identifier }}'
        ) or (
            select pg_relation_size(c.oid) > 1.2 * current_setting('block_size')::bigint * c.relpages
            from pg_class as c where c.oid = '{{ table }}'::regclass
        ) then
            analyze {{ table }};
        end if;
    end $$
    {%- endif -%}
{%- endmacro %}

{% macro sqlserver__keep_statistics() %}{% endmacro %}

{# Of a table whose rows were all replaced, before anything joins it. SQL Server would notice by itself only from a number of changed rows on. #}
{% macro gather_statistics(table) -%}{{ return(adapter.dispatch('gather_statistics')(table)) }}{%- endmacro %}
{% macro default__gather_statistics(table) -%}analyze {{ table }};{%- endmacro %}
{% macro sqlserver__gather_statistics(table) -%}update statistics {{ table }};{%- endmacro %}
