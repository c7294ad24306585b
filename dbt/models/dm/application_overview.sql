{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['application_id'],
    meta={'affected_key': 'application_id'},
    pre_hook=["{{ note_affected(applications_to_show()) }}"],
    indexes=[{'columns': ['application_id'], 'unique': true}, {'columns': ['loan_as_of_date']}],
) }}

{{ with_affected('application_id') }}
reporting_date as {{ rows_of(ref('reporting_date')) }},
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},
{%- if is_incremental() %}
hub_application as {{ rows_of(ref('hub_application')) }},
link_loan as {{ rows_of(ref('link_loan')) }},
{%- endif %}
fact_decision as {{ rows_of(ref('fact_decision')) }},
dim_product as {{ rows_of(ref('dim_product')) }},
dim_party as {{ rows_of(ref('dim_party')) }},

reported as (
    select r.as_of_date from reporting_date as r
),

loans as (
    select m.*
    from fact_loan_month as m
    inner join reported as r on r.as_of_date = m.snapshot_date
    where m.snapshot_kind = 'as_of'
    {%- if is_incremental() %}
    and m.loan_hk in (
        select k.loan_hk
        from affected as a
        inner join hub_application as h on h.application_id = a.application_id
        inner join link_loan as k on k.application_hk = h.application_hk
    )
    {%- endif %}
),

final as (
    select
        d.application_id,
        d.state,
        d.decision,
        d.is_open,
        d.currency,
        d.requested_amount,
        d.term_months,
        d.purpose,
        d.channel,
        d.score,
        d.version_count,
        d.created_at,
        d.first_submitted_at,
        d.decided_at,
        d.booked_at,
        d.hours_to_decision,
        d.returned_count,
        d.returned_hours,
        d.product_code,
        p.product_name,
        d.product_interest_rate,
        d.probability_of_default,
        d.loss_given_default,
        b.party_id as borrower_id,
        b.kind as borrower_kind,
        b.birth_year as borrower_birth_year,
        d.loan_id,
        l.snapshot_date as loan_as_of_date,
        l.status as loan_status,
        l.days_past_due,
        l.bucket,
        l.outstanding_principal,
        l.accrued_interest,
        l.exposure_amount,
        l.overdue_amount,
        l.is_restructured,
        l.is_defaulted,
        l.ifrs9_stage
    from fact_decision as d
    left join dim_product as p on p.product_key = d.product_key
    left join dim_party as b on b.party_key = d.borrower_key
    left join loans as l on l.application_hk = d.application_hk and l.loan_id = d.loan_id
    {%- if is_incremental() %}
    where d.application_id in (select a.application_id from affected as a)
    {%- endif %}
)

select * from final
